#!/bin/bash
#SBATCH -N 2-4 -n 1
srun ./program
