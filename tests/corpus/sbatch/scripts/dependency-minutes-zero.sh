#!/bin/bash
#SBATCH -d after:1+0
srun ./program
