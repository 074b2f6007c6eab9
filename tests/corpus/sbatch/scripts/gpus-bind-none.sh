#!/bin/bash
#SBATCH --gpu-bind=none -G 1
srun ./program
