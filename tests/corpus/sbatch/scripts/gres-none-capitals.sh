#!/bin/bash
#SBATCH --gres=NONE
srun ./program
