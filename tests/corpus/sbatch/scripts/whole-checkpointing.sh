#!/bin/bash
#SBATCH -J restartable -t 4:00:00 --time-min=1:00:00
#SBATCH --requeue --signal=TERM@120
#SBATCH -o restartable.out --open-mode=append
[ -f state ] && resume=--resume
./simulate $resume --every 10m
