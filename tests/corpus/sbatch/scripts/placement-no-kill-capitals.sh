#!/bin/bash
#SBATCH --no-kill=No
srun ./program
