#!/bin/bash
#SBATCH -N 1-2-3
srun ./program
