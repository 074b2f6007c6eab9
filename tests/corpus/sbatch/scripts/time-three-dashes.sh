#!/bin/bash
#SBATCH -t 1-1-1
srun ./program
