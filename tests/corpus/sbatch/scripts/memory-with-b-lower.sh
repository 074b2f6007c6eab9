#!/bin/bash
#SBATCH --mem=1tb
srun ./program
