#!/bin/bash
#SBATCH -d afterok:
srun ./program
