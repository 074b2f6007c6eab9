#!/bin/bash
#SBATCH --mem=1024
srun ./program
