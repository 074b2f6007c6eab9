#!/bin/bash
#SBATCH -a 1-3:
srun ./program
