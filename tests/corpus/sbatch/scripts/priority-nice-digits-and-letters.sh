#!/bin/bash
#SBATCH --nice=5x
srun ./program
