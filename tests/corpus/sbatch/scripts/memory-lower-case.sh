#!/bin/bash
#SBATCH --mem=2g
srun ./program
