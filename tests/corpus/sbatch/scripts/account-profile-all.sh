#!/bin/bash
#SBATCH --profile=all
srun ./program
