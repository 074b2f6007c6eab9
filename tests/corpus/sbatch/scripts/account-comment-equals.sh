#!/bin/bash
#SBATCH --comment=a=b
srun ./program
