#!/bin/bash
#SBATCH --signal=65
srun ./program
