#!/bin/bash
#SBATCH -a 0-15:4%2
srun ./program
