#!/bin/bash
#SBATCH --mem-bind=v,local
srun ./program
