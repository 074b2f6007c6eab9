#!/bin/bash
#SBATCH --switches=2
srun ./program
