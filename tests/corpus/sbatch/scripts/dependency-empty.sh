#!/bin/bash
#SBATCH --dependency=
srun ./program
