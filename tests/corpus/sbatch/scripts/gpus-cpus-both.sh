#!/bin/bash
#SBATCH --cpus-per-gpu=4 -G 1 -c 2
srun ./program
