#!/bin/bash
#SBATCH -a 5-1
srun ./program
