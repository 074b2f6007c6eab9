#!/bin/bash
#SBATCH -d afterany:3_2
srun ./program
