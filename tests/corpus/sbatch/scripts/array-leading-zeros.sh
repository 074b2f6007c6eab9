#!/bin/bash
#SBATCH -a 01-03
srun ./program
