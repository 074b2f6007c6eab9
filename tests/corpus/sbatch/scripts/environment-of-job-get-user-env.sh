#!/bin/bash
#SBATCH --get-user-env
srun ./program
