#!/bin/bash
#SBATCH -n 4
#SBATCH hetjob
#SBATCH -n 5 -c 2
srun ./program
