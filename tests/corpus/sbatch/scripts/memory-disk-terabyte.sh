#!/bin/bash
#SBATCH --tmp=1T
srun ./program
