#!/bin/bash
#SBATCH --gpu-freq=low,memory=bogus
srun ./program
