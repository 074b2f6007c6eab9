#!/bin/bash
#SBATCH --signal=10@0
srun ./program
