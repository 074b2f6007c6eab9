#!/bin/bash
#SBATCH -n 2


#SBATCH -c 4
srun ./program
