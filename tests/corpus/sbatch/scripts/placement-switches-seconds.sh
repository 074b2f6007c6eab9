#!/bin/bash
#SBATCH --switches=1@1:30
srun ./program
