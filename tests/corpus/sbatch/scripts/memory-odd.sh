#!/bin/bash
#SBATCH --mem=1536
srun ./program
