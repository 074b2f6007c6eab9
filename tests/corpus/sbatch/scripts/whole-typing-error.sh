#!/bin/bash
#SBATCH --job-name=oops
#SBATCH --node=2
#SBATCH --task=4
./run
