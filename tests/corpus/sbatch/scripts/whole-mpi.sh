#!/bin/bash
#SBATCH --job-name=cfd-wing          # what the queue shows
#SBATCH --partition=batch
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=32
#SBATCH --time=12:00:00
#SBATCH --mem=120G
#SBATCH --output=wing.%j.out
#SBATCH --error=wing.%j.err
#SBATCH --mail-type=END,FAIL
#SBATCH --mail-user=flow@example.org

set -euo pipefail
echo "started on $SLURM_JOB_NODELIST"
srun ./solver --mesh wing.msh --steps 40000
