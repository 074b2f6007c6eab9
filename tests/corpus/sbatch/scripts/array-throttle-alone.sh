#!/bin/bash
#SBATCH -a %2
srun ./program
