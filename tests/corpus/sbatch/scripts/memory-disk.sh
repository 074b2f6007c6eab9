#!/bin/bash
#SBATCH --tmp=10
srun ./program
