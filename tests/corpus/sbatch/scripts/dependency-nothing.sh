#!/bin/bash
#SBATCH -d none
srun ./program
