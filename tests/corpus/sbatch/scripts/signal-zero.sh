#!/bin/bash
#SBATCH --signal=0
srun ./program
