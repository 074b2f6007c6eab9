#!/bin/bash
#SBATCH -J a -n 2 -c 2 -t 5 --mem=1G -p debug -o x.out
srun ./program
