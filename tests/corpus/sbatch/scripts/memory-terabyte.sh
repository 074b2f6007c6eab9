#!/bin/bash
#SBATCH --mem=1T
srun ./program
