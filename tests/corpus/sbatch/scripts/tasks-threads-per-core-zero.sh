#!/bin/bash
#SBATCH --threads-per-core=0
srun ./program
