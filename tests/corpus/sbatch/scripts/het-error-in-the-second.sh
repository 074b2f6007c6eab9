#!/bin/bash
#SBATCH -n 4
#SBATCH hetjob
#SBATCH -n x
srun ./program
