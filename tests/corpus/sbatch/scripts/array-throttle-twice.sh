#!/bin/bash
#SBATCH -a 1-3%2%3
srun ./program
