#!/bin/bash
#SBATCH --propagate=BOGUS
srun ./program
