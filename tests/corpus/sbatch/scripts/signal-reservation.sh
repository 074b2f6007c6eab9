#!/bin/bash
#SBATCH --signal=R:USR1
srun ./program
