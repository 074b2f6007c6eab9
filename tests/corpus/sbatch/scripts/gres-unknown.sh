#!/bin/bash
#SBATCH --gres=nosuch:1
srun ./program
