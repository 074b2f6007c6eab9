#!/bin/bash
#SBATCH --mem=1G
#SBATCH --mem=2G
srun ./program
