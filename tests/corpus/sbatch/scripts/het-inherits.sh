#!/bin/bash
#SBATCH -J a -A physics -o x.out -t 5 --nice=3 -b 2099-01-01 --mem=2G -n 2 -p debug -C intel -c 2 --gres=gpu:1 -N 2
#SBATCH hetjob
#SBATCH -n 4
srun ./program
