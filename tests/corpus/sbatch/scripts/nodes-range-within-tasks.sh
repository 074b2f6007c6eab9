#!/bin/bash
#SBATCH -N 2-4 -n 3
srun ./program
