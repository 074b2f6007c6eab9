#!/bin/bash
#SBATCH --cpus-per-task=many
srun ./program
