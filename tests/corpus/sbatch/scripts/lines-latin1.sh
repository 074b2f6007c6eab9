#!/bin/bash
#SBATCH -n 4
# café
srun ./program
