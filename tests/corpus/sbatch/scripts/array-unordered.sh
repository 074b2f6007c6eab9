#!/bin/bash
#SBATCH -a 3,1,2
srun ./program
