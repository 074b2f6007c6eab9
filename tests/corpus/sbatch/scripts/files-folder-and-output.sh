#!/bin/bash
#SBATCH -D /tmp -o x.out
srun ./program
