#!/bin/bash
#SBATCH -G 2 --ntasks-per-gpu=2
srun ./program
