#!/bin/bash
#SBATCH --gres=GPU:1
srun ./program
