#!/bin/bash
#SBATCH --mail-type=TIME_LIMIT_80,ALL,ARRAY_TASKS,TIME_LIMIT
srun ./program
