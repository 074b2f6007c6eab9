#!/bin/bash
#SBATCH --signal=USR1@
srun ./program
