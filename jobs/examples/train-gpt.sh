#!/bin/bash
# A training job: the lines that sbatch knows, and beside them what only the fabric has a word for.
#SBATCH --job-name=train-gpt
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=20
#SBATCH --output=%x-%j.out
#UFAB --train=train-gpt.toml
#UFAB --data=corpus.h5
#UFAB --providers=3
#UFAB --verify=exact:10%

echo "job $SLURM_JOB_ID of $SLURM_JOB_NAME on $UFAB_PROVIDER, $UFAB_PROVIDERS providers, attempt $UFAB_ATTEMPT"
ufab train
