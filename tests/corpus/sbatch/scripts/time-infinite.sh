#!/bin/bash
#SBATCH --time=infinite
srun ./program
