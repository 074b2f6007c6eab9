#!/bin/bash
#SBATCH --partition=
srun ./program
