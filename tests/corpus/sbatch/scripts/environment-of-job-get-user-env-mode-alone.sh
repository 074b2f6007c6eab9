#!/bin/bash
#SBATCH --get-user-env=L
srun ./program
