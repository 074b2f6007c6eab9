#!/bin/bash
#SBATCH -d afterok:1:1
srun ./program
