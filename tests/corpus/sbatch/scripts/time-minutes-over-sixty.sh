#!/bin/bash
#SBATCH -t 90:90
srun ./program
