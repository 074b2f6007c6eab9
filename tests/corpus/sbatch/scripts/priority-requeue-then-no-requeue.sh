#!/bin/bash
#SBATCH --requeue
#SBATCH --no-requeue
srun ./program
