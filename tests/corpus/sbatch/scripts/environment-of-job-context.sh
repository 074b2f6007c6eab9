#!/bin/bash
#SBATCH --context=x
srun ./program
