#!/bin/bash
#SBATCH --cpu-freq=2000-1000
srun ./program
