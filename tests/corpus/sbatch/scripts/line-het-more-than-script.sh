#!/bin/bash
#SBATCH -n 4
#SBATCH hetjob
#SBATCH -n 5
srun ./program
