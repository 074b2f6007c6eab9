#!/bin/bash
#SBATCH --mem-per-cpu=2G --mem-per-gpu=1G -G 1
srun ./program
