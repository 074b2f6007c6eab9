#!/bin/bash
#SBATCH -B 2-
srun ./program
