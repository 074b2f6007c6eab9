#!/bin/bash
#SBATCH --gpus-per-node=2 --gpus-per-node=3
srun ./program
