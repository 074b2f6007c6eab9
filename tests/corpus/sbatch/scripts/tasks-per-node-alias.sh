#!/bin/bash
#SBATCH --tasks-per-node=3
srun ./program
