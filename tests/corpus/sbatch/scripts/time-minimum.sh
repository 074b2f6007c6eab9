#!/bin/bash
#SBATCH --time-min=10 -t 20
srun ./program
