#!/bin/bash
#SBATCH --quiet --parsable
#SBATCH -n 2
srun ./program
