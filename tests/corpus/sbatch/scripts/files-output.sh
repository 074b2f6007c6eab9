#!/bin/bash
#SBATCH -o out.txt
srun ./program
