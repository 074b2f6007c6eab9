#!/bin/bash
#SBATCH -G 1 --gpus-per-node=2
srun ./program
