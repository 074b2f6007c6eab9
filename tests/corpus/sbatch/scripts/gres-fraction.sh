#!/bin/bash
#SBATCH --gres=gpu:1.5
srun ./program
