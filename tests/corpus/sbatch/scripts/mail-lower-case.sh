#!/bin/bash
#SBATCH --mail-type=end,fail
srun ./program
