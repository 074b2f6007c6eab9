#!/bin/bash
#SBATCH --cpus-per-gpu=4 -G 1
srun ./program
