#!/bin/bash
#SBATCH --mem=1P
srun ./program
