#!/bin/bash
#SBATCH -a 1-5:0
srun ./program
