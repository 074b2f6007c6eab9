#!/bin/bash
#SBATCH --switches=0
srun ./program
