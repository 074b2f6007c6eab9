#!/bin/bash
#SBATCH --ntasks-per-node=x
srun ./program
