#!/bin/bash
#SBATCH --signal=USR1@65536
srun ./program
