#!/bin/bash
#SBATCH --mem=100M
srun ./program
