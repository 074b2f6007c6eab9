#!/bin/bash
#SBATCH -J a
#sbatch -n 4
srun ./program
