#!/bin/bash
#SBATCH -t :30
srun ./program
