#!/bin/bash
#SBATCH --mem-per-gpu=1G
srun ./program
