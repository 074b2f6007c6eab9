#!/bin/bash
#SBATCH --mem-bind=no
srun ./program
