#!/bin/bash
#SBATCH --gpu-bind=map_gpu:0,1 -G 2
srun ./program
