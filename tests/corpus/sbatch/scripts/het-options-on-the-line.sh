#!/bin/bash
#SBATCH -n 2
#SBATCH hetjob -n 3
#SBATCH -c 2
srun ./program
