#!/bin/bash
#SBATCH --gres=gpu:x
srun ./program
