#!/bin/bash
#SBATCH --signal=USR1@x
srun ./program
