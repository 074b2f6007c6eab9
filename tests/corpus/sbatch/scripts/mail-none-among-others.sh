#!/bin/bash
#SBATCH --mail-type=END,NONE
srun ./program
