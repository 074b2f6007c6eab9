#!/bin/bash
#SBATCH -n 8 -N 2 --ntasks-per-node=4
srun ./program
