#!/bin/bash
#SBATCH --gpu-bind=map_gpu:x
srun ./program
