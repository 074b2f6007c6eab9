#!/bin/bash
#SBATCH --gpus-per-task=1 -n 2
srun ./program
