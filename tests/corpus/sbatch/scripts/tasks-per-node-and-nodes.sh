#!/bin/bash
#SBATCH --ntasks-per-node=4 -N 2
srun ./program
