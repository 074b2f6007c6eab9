#!/bin/bash
#SBATCH -a 1-3%0
srun ./program
