#!/bin/bash
#SBATCH --wrap=hostname
srun ./program
