#!/bin/bash
#SBATCH -d afterok:1,singleton
srun ./program
