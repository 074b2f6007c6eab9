#!/bin/bash
#SBATCH -n 2 -n 3
#SBATCH -n 4
srun ./program
