#!/bin/bash
#SBATCH --exclude=
srun ./program
