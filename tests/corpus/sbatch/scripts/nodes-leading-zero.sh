#!/bin/bash
#SBATCH -N 02
srun ./program
