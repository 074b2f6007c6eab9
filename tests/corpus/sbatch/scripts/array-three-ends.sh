#!/bin/bash
#SBATCH -a 1-3-5
srun ./program
