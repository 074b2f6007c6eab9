#!/bin/bash
#SBATCH -c 2 --ntasks-per-node=3 -N 2
srun ./program
