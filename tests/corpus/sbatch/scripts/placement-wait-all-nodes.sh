#!/bin/bash
#SBATCH --wait-all-nodes=1
srun ./program
