#!/bin/bash
#SBATCH -n -1
srun ./program
