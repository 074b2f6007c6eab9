#!/bin/bash
#SBATCH -n 2
# a comment
  # an indented comment
#SBATCH -c 4
srun ./program
