#!/bin/bash
#SBATCH -J threads
#SBATCH -c 16
#SBATCH --mem-per-cpu=2000
#SBATCH -t 0-06:00
#SBATCH --hint=nomultithread

export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
./assemble reads.fq > contigs.fa
