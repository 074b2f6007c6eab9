#!/bin/bash
#SBATCH --export="ALL,LIST=a b"
srun ./program
