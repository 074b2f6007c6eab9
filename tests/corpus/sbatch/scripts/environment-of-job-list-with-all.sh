#!/bin/bash
#SBATCH --export=ALL,SEED=42
srun ./program
