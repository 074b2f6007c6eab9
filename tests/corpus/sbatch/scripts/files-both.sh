#!/bin/bash
#SBATCH -o out-%A.txt
#SBATCH -e err-%J.txt
srun ./program
