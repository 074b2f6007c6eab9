#!/bin/bash
#SBATCH --mem=10X
srun ./program
