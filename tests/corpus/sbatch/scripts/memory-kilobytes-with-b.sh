#!/bin/bash
#SBATCH --mem=2KB
srun ./program
