#!/bin/bash
#SBATCH -n 1
#SBATCH packjob
#SBATCH -n 2
srun ./program
