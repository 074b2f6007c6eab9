#!/bin/bash
#SBATCH --open-mode=a
srun ./program
