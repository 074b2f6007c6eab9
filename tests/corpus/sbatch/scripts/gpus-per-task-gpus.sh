#!/bin/bash
#SBATCH --gpus-per-task=2 -G 4
srun ./program
