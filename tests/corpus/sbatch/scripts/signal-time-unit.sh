#!/bin/bash
#SBATCH --signal=USR1@60s
srun ./program
