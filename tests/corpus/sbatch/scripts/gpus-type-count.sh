#!/bin/bash
#SBATCH --gpus=a100:2
srun ./program
