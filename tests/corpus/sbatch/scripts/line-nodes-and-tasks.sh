#!/bin/bash
#SBATCH -N 4
srun ./program
