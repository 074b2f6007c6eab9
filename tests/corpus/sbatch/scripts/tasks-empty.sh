#!/bin/bash
#SBATCH --ntasks=
srun ./program
