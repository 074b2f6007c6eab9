#!/bin/bash
#SBATCH -n 2 -t 1 -J script
srun ./program
