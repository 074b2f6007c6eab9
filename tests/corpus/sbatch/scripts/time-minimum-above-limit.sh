#!/bin/bash
#SBATCH --time-min=30 -t 20
srun ./program
