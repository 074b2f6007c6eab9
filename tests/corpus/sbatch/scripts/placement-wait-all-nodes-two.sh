#!/bin/bash
#SBATCH --wait-all-nodes=2
srun ./program
