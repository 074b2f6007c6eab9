#!/bin/bash
#SBATCH --mem-per-cpu=2G
#SBATCH --mem=1G
srun ./program
