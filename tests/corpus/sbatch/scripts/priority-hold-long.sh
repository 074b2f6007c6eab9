#!/bin/bash
#SBATCH --hold
srun ./program
