#!/bin/bash
#SBATCH --job-name=late
module load tools
#SBATCH --time=5
#SBATCH --no-such-option
./run
