#!/bin/bash
#SBATCH -t 1-30
srun ./program
