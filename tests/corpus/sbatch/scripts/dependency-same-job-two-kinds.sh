#!/bin/bash
#SBATCH -d afterok:1,afterany:1
srun ./program
