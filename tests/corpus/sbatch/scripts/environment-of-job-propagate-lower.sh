#!/bin/bash
#SBATCH --propagate=stack
srun ./program
