#!/bin/bash
#SBATCH --gres=gpu:a100
srun ./program
