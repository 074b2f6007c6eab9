#!/bin/bash
#SBATCH -t 99:99:99
srun ./program
