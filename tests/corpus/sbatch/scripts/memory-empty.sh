#!/bin/bash
#SBATCH --mem=
srun ./program
