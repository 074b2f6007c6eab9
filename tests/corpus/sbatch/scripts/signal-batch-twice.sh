#!/bin/bash
#SBATCH --signal=B:B:USR1
srun ./program
