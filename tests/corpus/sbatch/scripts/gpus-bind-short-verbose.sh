#!/bin/bash
#SBATCH --gpu-bind=v,closest -G 1
srun ./program
