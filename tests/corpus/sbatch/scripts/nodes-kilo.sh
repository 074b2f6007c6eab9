#!/bin/bash
#SBATCH -N 1k
srun ./program
