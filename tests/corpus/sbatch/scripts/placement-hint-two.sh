#!/bin/bash
#SBATCH --hint=nomultithread,compute_bound
srun ./program
