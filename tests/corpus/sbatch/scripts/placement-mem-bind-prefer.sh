#!/bin/bash
#SBATCH --mem-bind=p,rank
srun ./program
