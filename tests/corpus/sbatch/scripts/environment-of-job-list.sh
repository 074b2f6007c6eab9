#!/bin/bash
#SBATCH --export=A=1,B
srun ./program
