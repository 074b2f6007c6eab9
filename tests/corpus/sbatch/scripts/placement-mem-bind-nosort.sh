#!/bin/bash
#SBATCH --mem-bind=nosort
srun ./program
