#!/bin/bash
#SBATCH --mem-bind=bogus
srun ./program
