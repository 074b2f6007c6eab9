#!/bin/bash
#SBATCH --array=0
srun ./program
