#!/bin/bash
#SBATCH --mem=100
srun ./program
