#!/bin/bash
#SBATCH -N 2-4:2
srun ./program
