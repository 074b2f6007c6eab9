#!/bin/bash
#SBATCH -J a
 #SBATCH -n 4
srun ./program
