#!/bin/bash
#SBATCH --uid=root
srun ./program
