#!/bin/bash
#SBATCH --gres=fpga:1 --gpus-per-node=3
srun ./program
