#!/bin/bash
#SBATCH --job-name="train: large"
#SBATCH --gres=gpu:a100:4
#SBATCH --cpus-per-task=8
#SBATCH --ntasks-per-node=4
#SBATCH --nodes=2
#SBATCH --mem=400G
#SBATCH --time=2-00:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append

trap 'touch checkpoint-now' USR1
srun python3 train.py --resume &
wait
