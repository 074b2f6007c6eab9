#!/bin/bash
#SBATCH -o x.out
srun ./program
