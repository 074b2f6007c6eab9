#!/bin/bash
#SBATCH -a 1-3:2,9%2
srun ./program
