#!/bin/bash
#SBATCH --switches=x
srun ./program
