#!/bin/bash
#SBATCH --gres-flags=enforce-binding --gres=gpu:1
srun ./program
