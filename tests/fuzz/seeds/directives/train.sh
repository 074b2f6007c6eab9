#!/bin/bash
#SBATCH --job-name=train-gpt --ntasks=2 --mem=2G --time=1-02:30
#SBATCH -o %x-%j.out -c 4 --signal=B:USR1@60 --export=HOME,"A B"
#UFAB --train=train-gpt.toml --data=corpus.h5 --providers=2..3 --verify=exact:10%
# a comment

#UFAB --budget=12.5 --max-price=0.002 --prefer=alpha,beta --shares=1:5:2
ufab train
#SBATCH --not-read
