#!/bin/bash
#SBATCH --uid=0
srun ./program
