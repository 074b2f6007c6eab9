#!/bin/bash
#SBATCH --job-name=coupled --time=3:00:00
#SBATCH --ntasks=64 --mem-per-cpu=1G
#SBATCH hetjob
#SBATCH --ntasks=4 --cpus-per-task=16 --mem-per-cpu=4G

srun --het-group=0 ./ocean : --het-group=1 ./atmosphere
