#!/bin/sh
#SBATCH --dependency=afterok:1:2
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --job-name=merge

cat part-*.csv | sort -u > whole.csv
