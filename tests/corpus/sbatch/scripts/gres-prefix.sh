#!/bin/bash
#SBATCH --gres=gres:gpu:2
srun ./program
