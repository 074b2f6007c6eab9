#!/bin/bash
#SBATCH -d after:1+x
srun ./program
