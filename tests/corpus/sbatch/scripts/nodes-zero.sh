#!/bin/bash
#SBATCH -N 0
srun ./program
