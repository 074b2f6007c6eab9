#!/bin/bash
#SBATCH --hint=nomultithread --ntasks-per-core=1
srun ./program
