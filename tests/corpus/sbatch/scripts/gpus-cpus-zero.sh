#!/bin/bash
#SBATCH --cpus-per-gpu=0 -G 1
srun ./program
