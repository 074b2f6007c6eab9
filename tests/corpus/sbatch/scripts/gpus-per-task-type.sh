#!/bin/bash
#SBATCH --gpus-per-task=a100:1 -n 2
srun ./program
