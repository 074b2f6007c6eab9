#!/bin/bash
#SBATCH --mem-=1
srun ./program
