#!/bin/bash
#SBATCH --signal=PIPE
srun ./program
