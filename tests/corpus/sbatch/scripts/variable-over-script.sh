#!/bin/bash
#SBATCH -J script -t 1 -n 2
srun ./program
