#!/bin/bash
#SBATCH -a 1001
srun ./program
