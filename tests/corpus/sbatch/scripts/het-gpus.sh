#!/bin/bash
#SBATCH -n 1 -p batch
#SBATCH hetjob
#SBATCH -n 2 -p gpu --gpus-per-task=1
srun ./program
