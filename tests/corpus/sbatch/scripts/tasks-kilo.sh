#!/bin/bash
#SBATCH -n 1k
srun ./program
