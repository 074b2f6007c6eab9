#!/bin/bash
#SBATCH --mem=0
srun ./program
