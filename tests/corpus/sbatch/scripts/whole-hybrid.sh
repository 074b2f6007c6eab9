#!/bin/bash -l
#SBATCH -N 2 -n 8 -c 4 --time=45:00   # two nodes, four ranks on each
#SBATCH --distribution=block:cyclic
#SBATCH --exclusive
#SBATCH --account=climate

module load ensemble
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
srun --cpu-bind=cores ./ensemble input.nml
