#!/bin/bash
#SBATCH -a 1,1,2
srun ./program
