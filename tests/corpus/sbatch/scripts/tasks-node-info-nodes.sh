#!/bin/bash
#SBATCH -B 2:2 -N 2
srun ./program
