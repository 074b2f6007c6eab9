#!/bin/bash
#SBATCH --job-name=tests
##SBATCH --gres=gpu:1        switched off for now
# #SBATCH --partition=gpu
#SBATCH --time=15
#
# Everything below is the program.

make check
