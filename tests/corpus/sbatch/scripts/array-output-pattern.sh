#!/bin/bash
#SBATCH -a 1-4
#SBATCH -o logs/%A/%a-%x.out -e logs/%A_%4a.err
#SBATCH -J sweep
srun ./program
