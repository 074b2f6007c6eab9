#!/bin/bash
#SBATCH --mincpus=4
srun ./program
