#!/bin/bash
#SBATCH --mem-per-gpu=1G -G 1
srun ./program
