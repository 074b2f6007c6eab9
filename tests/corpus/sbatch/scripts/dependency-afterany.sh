#!/bin/bash
#SBATCH --dependency=afterany:1
srun ./program
