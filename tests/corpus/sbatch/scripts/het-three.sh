#!/bin/bash
#SBATCH -n 1
#SBATCH hetjob
#SBATCH -n 2
#SBATCH hetjob
#SBATCH -n 3
srun ./program
