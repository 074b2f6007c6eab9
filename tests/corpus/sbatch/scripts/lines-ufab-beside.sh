#!/bin/bash
#SBATCH -n 2
#UFAB --budget=5 --providers=1
srun ./program
