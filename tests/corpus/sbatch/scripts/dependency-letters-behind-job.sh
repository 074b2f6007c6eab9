#!/bin/bash
#SBATCH -d afterok:1x2
srun ./program
