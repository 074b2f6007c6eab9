#!/bin/bash
#SBATCH --gpu-freq=900 -G 1
srun ./program
