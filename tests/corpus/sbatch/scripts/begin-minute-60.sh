#!/bin/bash
#SBATCH -b 23:60
srun ./program
