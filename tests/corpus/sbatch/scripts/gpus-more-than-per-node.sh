#!/bin/bash
#SBATCH -G 2 --gpus-per-node=1
srun ./program
