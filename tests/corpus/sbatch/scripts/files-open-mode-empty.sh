#!/bin/bash
#SBATCH --open-mode=
srun ./program
