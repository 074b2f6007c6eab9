#!/bin/bash
#SBATCH -d after:1+5:2
srun ./program
