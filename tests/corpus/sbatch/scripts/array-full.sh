#!/bin/bash
#SBATCH -a 0-1000
srun ./program
