#!/bin/bash
#SBATCH -b "10:30 12/25"
srun ./program
