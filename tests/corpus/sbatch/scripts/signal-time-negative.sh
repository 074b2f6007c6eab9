#!/bin/bash
#SBATCH --signal=USR1@-5
srun ./program
