#!/bin/bash
#SBATCH -n 2 :
srun ./program
