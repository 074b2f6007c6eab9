#!/bin/bash
#SBATCH --array=
srun ./program
