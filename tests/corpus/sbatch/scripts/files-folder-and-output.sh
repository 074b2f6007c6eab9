#!/bin/bash
#SBATCH -D /scratch -o x.out
srun ./program
