#!/bin/bash
#SBATCH --mincpus=0
srun ./program
