#!/bin/bash
#SBATCH --time=5
srun ./program
