#!/bin/bash
#SBATCH -d afterok:1_x
srun ./program
