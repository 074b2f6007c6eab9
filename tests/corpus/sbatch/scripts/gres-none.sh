#!/bin/bash
#SBATCH --gres=none
srun ./program
