#!/bin/bash
#SBATCH -b uts999
srun ./program
