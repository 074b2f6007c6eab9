#!/bin/bash
#SBATCH -o %N.out
srun ./program
