#!/bin/bash
#SBATCH -a 1.5
srun ./program
