#!/bin/bash
#SBATCH -d afterok:1+5
srun ./program
