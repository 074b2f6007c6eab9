#!/bin/bash
#SBATCH -t 2-
srun ./program
