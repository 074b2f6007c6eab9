#!/bin/bash
#SBATCH --cpu-freq=bogus
srun ./program
