#!/bin/bash
#SBATCH --mem-bind=local
srun ./program
