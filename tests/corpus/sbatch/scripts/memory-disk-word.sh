#!/bin/bash
#SBATCH --tmp=x
srun ./program
