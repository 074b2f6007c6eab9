#!/bin/bash
#SBATCH --gpu-bind=per_task:2 -G 2
srun ./program
