#!/bin/bash
#SBATCH -a 1-7:2
srun ./program
