#!/bin/bash
#SBATCH -n 2147483648
srun ./program
