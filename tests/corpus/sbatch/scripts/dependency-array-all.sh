#!/bin/bash
#SBATCH -d afterany:3_*
srun ./program
