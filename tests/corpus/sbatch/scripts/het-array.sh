#!/bin/bash
#SBATCH -n 4 -a 1-3
#SBATCH hetjob
#SBATCH -n 2
srun ./program
