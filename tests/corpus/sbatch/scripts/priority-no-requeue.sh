#!/bin/bash
#SBATCH --no-requeue
srun ./program
