#!/bin/bash
#SBATCH --prefer=ib
srun ./program
