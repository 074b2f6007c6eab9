#!/bin/bash
#SBATCH --gpu-freq=medium,memory=high,verbose -G 1
srun ./program
