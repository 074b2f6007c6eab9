#!/bin/bash
#SBATCH -b NOW+1HOUR
srun ./program
