#!/bin/bash
#SBATCH --gpu-bind=closest -G 1
srun ./program
