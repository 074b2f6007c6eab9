#!/bin/bash
#SBATCH --mail-type=bogus
srun ./program
