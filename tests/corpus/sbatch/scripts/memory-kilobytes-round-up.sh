#!/bin/bash
#SBATCH --mem=1500K
srun ./program
