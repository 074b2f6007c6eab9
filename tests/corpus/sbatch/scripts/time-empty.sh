#!/bin/bash
#SBATCH --time=
srun ./program
