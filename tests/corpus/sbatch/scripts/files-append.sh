#!/bin/bash
#SBATCH --open-mode=append
srun ./program
