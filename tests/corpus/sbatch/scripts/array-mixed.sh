#!/bin/bash
#SBATCH -a 1-3,5-7%2
srun ./program
