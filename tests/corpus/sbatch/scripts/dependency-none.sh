#!/bin/bash
#SBATCH -d 0
srun ./program
