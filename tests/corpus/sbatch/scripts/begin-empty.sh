#!/bin/bash
#SBATCH --begin=
srun ./program
