#!/bin/bash
#SBATCH --tmp=2G
srun ./program
