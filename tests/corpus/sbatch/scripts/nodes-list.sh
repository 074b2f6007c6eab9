#!/bin/bash
#SBATCH -N 1,3
srun ./program
