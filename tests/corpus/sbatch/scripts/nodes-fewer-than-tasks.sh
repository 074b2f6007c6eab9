#!/bin/bash
#SBATCH -N 1 -n 8
srun ./program
