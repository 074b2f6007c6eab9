#!/bin/bash
#SBATCH -t 1-2
srun ./program
