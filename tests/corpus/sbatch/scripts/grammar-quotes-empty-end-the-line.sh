#!/bin/bash
#SBATCH -n 2 "" -J never
#SBATCH -c 2
srun ./program
