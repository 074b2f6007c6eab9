#!/bin/bash
#SBATCH --gpus-per-task=1 -N 2
srun ./program
