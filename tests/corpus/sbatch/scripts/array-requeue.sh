#!/bin/bash
#SBATCH --array=1-2
#SBATCH --no-requeue --nice=7
srun ./program
