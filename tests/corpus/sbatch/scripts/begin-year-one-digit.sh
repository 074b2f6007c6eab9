#!/bin/bash
#SBATCH -b 1/2/3
srun ./program
