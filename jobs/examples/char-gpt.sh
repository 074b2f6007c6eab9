#!/bin/bash
#SBATCH --job-name=char-gpt
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --time=30
#SBATCH --output=%x-%j.out
#UFAB --train=char-gpt.toml
#UFAB --data=shakespeare.h5
#UFAB --providers=1
#UFAB --verify=exact:25%

ufab train
