#!/bin/bash
#SBATCH --mem=5Gx
srun ./program
