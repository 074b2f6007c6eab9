#!/bin/bash
#SBATCH --gpus=a100:2,1
srun ./program
