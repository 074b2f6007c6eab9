#!/bin/bash
#SBATCH --signal=B:
srun ./program
