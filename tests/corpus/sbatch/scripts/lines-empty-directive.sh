#!/bin/bash
#SBATCH
#SBATCH -n 4
srun ./program
