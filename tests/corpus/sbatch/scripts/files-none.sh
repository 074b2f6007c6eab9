#!/bin/bash
#SBATCH -o none -e none -i none
srun ./program
