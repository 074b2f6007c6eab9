#!/bin/bash
#SBATCH --switches=1@UNLIMITED
srun ./program
