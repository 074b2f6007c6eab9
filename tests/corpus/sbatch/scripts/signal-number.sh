#!/bin/bash
#SBATCH --signal=10
srun ./program
