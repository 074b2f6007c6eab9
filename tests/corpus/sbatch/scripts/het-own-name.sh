#!/bin/bash
#SBATCH -J a -n 2
#SBATCH hetjob
#SBATCH -J b
srun ./program
