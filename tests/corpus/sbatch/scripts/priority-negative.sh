#!/bin/bash
#SBATCH --priority=-5
srun ./program
