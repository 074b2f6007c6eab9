#!/bin/bash
#SBATCH --time=UNLIMITED
srun ./program
