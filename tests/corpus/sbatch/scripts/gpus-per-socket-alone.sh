#!/bin/bash
#SBATCH --gpus-per-socket=1
srun ./program
