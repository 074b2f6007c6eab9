#!/bin/bash
#SBATCH --get-user-env=10
srun ./program
