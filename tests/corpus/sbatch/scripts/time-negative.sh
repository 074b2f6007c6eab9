#!/bin/bash
#SBATCH -t -5
srun ./program
