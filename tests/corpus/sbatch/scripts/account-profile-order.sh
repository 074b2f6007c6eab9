#!/bin/bash
#SBATCH --profile=network,Lustre
srun ./program
