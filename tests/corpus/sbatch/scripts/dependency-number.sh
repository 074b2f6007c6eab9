#!/bin/bash
#SBATCH -d 1
srun ./program
