#!/bin/bash
#SBATCH -a 0-9999999
srun ./program
