#!/bin/bash
#SBATCH --ntasks-per-gpu=2
srun ./program
