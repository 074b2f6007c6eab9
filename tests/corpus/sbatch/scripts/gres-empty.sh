#!/bin/bash
#SBATCH --gres=
srun ./program
