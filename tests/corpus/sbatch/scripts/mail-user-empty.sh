#!/bin/bash
#SBATCH --mail-user=
srun ./program
