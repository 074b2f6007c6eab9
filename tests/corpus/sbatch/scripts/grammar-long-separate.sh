#!/bin/bash
#SBATCH --job-name name
srun ./program
