#!/bin/bash
#SBATCH --requeue
srun ./program
