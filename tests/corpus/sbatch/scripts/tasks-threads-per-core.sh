#!/bin/bash
#SBATCH --threads-per-core=1
srun ./program
