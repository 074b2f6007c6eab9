#!/bin/bash
#SBATCH --deadline=2099-01-01 -t 10
srun ./program
