#!/bin/bash
#SBATCH -a 0-1001
srun ./program
