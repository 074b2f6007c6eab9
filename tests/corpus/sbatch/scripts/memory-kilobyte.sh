#!/bin/bash
#SBATCH --mem=1K
srun ./program
