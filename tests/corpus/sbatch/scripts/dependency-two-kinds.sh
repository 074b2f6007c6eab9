#!/bin/bash
#SBATCH -d afterok:1,afterany:2
srun ./program
