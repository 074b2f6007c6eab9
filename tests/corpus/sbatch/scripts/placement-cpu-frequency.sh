#!/bin/bash
#SBATCH --cpu-freq=high
srun ./program
