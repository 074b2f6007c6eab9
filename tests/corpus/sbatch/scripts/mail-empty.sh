#!/bin/bash
#SBATCH --mail-type=
srun ./program
