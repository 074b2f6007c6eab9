#!/bin/bash
#SBATCH -a 1000
srun ./program
