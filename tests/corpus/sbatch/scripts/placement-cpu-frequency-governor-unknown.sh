#!/bin/bash
#SBATCH --cpu-freq=low-high:bogus
srun ./program
