#!/bin/bash
#SBATCH --mem-per-cpu=512M -n 4 -c 2
srun ./program
