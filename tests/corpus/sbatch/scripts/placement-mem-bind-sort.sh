#!/bin/bash
#SBATCH --mem-bind=sort
srun ./program
