#!/bin/bash
#SBATCH --propagate=NONE
srun ./program
