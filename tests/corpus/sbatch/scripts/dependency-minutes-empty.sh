#!/bin/bash
#SBATCH -d after:1+
srun ./program
