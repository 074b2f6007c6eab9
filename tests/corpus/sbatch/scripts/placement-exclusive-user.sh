#!/bin/bash
#SBATCH --exclusive=user
srun ./program
