#!/bin/bash
#SBATCH --signal=USR1@65535
srun ./program
