#!/bin/bash
#SBATCH --gpus=
srun ./program
