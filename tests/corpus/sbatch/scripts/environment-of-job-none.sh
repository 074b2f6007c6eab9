#!/bin/bash
#SBATCH --export=NONE
srun ./program
