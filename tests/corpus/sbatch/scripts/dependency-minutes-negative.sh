#!/bin/bash
#SBATCH -d after:1+-1
srun ./program
