#!/bin/bash
#SBATCH --array=0-63%8
#SBATCH --output=sweep/%A_%a.out
#SBATCH --time=30
#SBATCH --mem=4G

rates=(0.1 0.01 0.001 0.0001)
rate=${rates[$((SLURM_ARRAY_TASK_ID % 4))]}
python3 fit.py --seed "$SLURM_ARRAY_TASK_ID" --rate "$rate"
