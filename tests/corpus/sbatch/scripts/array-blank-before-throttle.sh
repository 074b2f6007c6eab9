#!/bin/bash
#SBATCH -a 1-3 %2
srun ./program
