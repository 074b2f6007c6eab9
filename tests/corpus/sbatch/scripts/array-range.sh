#!/bin/bash
#SBATCH -a 0-3
srun ./program
