#!/bin/bash
#SBATCH --nice=0
srun ./program
