#!/bin/bash
#SBATCH --gpu-bind=mask_gpu:0x1 -G 1
srun ./program
