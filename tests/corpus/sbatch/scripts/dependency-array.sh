#!/bin/bash
#SBATCH -d afterok:3
srun ./program
