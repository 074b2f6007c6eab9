#!/bin/bash
#SBATCH -a 1-9,20-29,40-49:3,77
srun ./program
