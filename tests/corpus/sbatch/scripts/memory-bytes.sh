#!/bin/bash
#SBATCH --mem=5B
srun ./program
