#!/bin/bash
#SBATCH --signal=64
srun ./program
