#!/bin/bash
#SBATCH -A "two words"
srun ./program
