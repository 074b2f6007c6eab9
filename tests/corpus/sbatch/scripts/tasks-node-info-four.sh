#!/bin/bash
#SBATCH -B 2:4:1:1
srun ./program
