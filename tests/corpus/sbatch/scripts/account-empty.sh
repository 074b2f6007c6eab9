#!/bin/bash
#SBATCH --account=
srun ./program
