#!/bin/bash
#SBATCH --mem=2GB
srun ./program
