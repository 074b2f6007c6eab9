#!/bin/bash
#SBATCH --ntasks-per-node=0
srun ./program
