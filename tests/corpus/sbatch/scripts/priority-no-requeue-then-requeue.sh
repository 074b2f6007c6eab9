#!/bin/bash
#SBATCH --no-requeue --requeue
srun ./program
