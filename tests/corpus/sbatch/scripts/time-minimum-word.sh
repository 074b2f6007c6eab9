#!/bin/bash
#SBATCH --time-min=x -t 20
srun ./program
