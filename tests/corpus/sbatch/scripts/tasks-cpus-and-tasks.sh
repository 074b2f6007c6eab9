#!/bin/bash
#SBATCH -c 4 -n 4
srun ./program
