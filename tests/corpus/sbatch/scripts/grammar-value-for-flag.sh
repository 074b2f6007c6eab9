#!/bin/bash
#SBATCH --contiguous=yes
srun ./program
