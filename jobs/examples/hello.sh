#!/bin/bash
# An ordinary batch script: runs on one provider and is paid by measured use.
#SBATCH --job-name=hello
#SBATCH --time=5
#SBATCH --output=%x-%j.out

echo "hello from $(hostname), job $SLURM_JOB_ID"
