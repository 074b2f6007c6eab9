#!/bin/bash
#SBATCH -d afterok:0
srun ./program
