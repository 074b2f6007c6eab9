#!/bin/bash
#SBATCH --ntasks-per-socket=2
srun ./program
