#!/bin/bash
#SBATCH --gpu-freq=bogus -G 1
srun ./program
