#!/bin/bash
#SBATCH -d afterok:1?afterany:2,after:2
srun ./program
