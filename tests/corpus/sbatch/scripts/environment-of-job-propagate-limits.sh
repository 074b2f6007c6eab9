#!/bin/bash
#SBATCH --propagate=STACK,CORE
srun ./program
