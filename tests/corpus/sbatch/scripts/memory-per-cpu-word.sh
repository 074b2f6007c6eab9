#!/bin/bash
#SBATCH --mem-per-cpu=lots
srun ./program
