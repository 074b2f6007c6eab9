#!/bin/bash
#SBATCH -n 2
#PBS -N other
#BSUB -n 4
srun ./program
