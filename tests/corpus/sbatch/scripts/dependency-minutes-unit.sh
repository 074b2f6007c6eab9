#!/bin/bash
#SBATCH -d after:1+5x:2
srun ./program
