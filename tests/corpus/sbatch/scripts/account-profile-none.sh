#!/bin/bash
#SBATCH --profile=none
srun ./program
