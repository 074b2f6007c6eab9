#!/bin/bash
#SBATCH --mem=G
srun ./program
