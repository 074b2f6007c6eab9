#!/bin/bash
#SBATCH --partition=debug,gpu
srun ./program
