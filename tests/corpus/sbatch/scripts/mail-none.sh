#!/bin/bash
#SBATCH --mail-type=NONE
srun ./program
