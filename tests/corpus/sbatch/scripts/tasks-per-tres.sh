#!/bin/bash
#SBATCH -G 1 --ntasks-per-tres=2
srun ./program
