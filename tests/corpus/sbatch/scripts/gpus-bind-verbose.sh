#!/bin/bash
#SBATCH --gpu-bind=verbose,single:2 -G 1
srun ./program
