#!/bin/bash
#SBATCH -N 2-2
srun ./program
