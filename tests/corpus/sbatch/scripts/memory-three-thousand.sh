#!/bin/bash
#SBATCH --mem=3000
srun ./program
