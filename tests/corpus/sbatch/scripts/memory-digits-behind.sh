#!/bin/bash
#SBATCH --mem=5G5
srun ./program
