#!/bin/bash
#SBATCH --ntasks-per-core=2
srun ./program
