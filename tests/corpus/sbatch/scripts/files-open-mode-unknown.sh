#!/bin/bash
#SBATCH --open-mode=bogus
srun ./program
