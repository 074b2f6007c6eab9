#!/bin/bash
#SBATCH -N 4 -n 2
srun ./program
