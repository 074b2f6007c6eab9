#!/bin/bash
#SBATCH --mem-per-cpu=1G
#SBATCH hetjob
#SBATCH --mem-per-cpu=2G -n 2
srun ./program
