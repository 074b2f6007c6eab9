#!/bin/bash
#SBATCH --time=x
srun ./program
