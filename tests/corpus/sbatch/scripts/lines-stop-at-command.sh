#!/bin/bash
#SBATCH -n 2
hostname
#SBATCH -n 4
srun ./program
