#!/bin/bash
#SBATCH --gres=gpu:1,fpga:1
srun ./program
