#!/bin/bash
#SBATCH --signal=SEGV
srun ./program
