#!/bin/bash
#SBATCH --gpu-freq=high -G 1
srun ./program
