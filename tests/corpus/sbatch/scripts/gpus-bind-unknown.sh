#!/bin/bash
#SBATCH --gpu-bind=bogus -G 1
srun ./program
