#!/bin/bash
#SBATCH -n 1 --mem=1G -J het
#SBATCH hetjob
#SBATCH -n 4 -c 2
srun ./program
