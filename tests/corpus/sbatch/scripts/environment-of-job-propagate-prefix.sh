#!/bin/bash
#SBATCH --propagate=RLIMIT_STACK
srun ./program
