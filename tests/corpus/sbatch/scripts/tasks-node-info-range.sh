#!/bin/bash
#SBATCH -B 1-2:4
srun ./program
