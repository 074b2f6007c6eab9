#!/bin/bash
#SBATCH -C "intel*2&amd*1" -N 3
srun ./program
