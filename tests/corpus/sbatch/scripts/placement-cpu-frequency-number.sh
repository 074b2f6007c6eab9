#!/bin/bash
#SBATCH --cpu-freq=2000000
srun ./program
