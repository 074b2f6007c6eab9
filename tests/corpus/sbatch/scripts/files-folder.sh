#!/bin/bash
#SBATCH -D /scratch
srun ./program
