#!/bin/bash
#SBATCH --"job-name"=x
srun ./program
