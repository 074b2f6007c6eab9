#!/bin/bash
#SBATCH -t -1
srun ./program
