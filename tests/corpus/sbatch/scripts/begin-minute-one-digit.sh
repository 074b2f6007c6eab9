#!/bin/bash
#SBATCH -b 1:5
srun ./program
