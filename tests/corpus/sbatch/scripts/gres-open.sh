#!/bin/bash
#SBATCH --gres=gpu:
srun ./program
