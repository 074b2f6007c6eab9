#!/bin/bash
#SBATCH -b noon+1day
srun ./program
