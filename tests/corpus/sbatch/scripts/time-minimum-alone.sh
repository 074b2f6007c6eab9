#!/bin/bash
#SBATCH --time-min=1:00:00
srun ./program
