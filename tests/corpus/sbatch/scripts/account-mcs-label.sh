#!/bin/bash
#SBATCH --mcs-label=x
srun ./program
