#!/bin/bash
#SBATCH --mem=+5
srun ./program
