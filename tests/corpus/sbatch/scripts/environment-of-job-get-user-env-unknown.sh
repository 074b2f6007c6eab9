#!/bin/bash
#SBATCH --get-user-env=x
srun ./program
