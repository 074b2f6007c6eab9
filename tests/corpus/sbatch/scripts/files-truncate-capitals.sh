#!/bin/bash
#SBATCH --open-mode=TRUNCATE
srun ./program
