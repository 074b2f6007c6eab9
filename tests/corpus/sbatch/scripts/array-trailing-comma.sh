#!/bin/bash
#SBATCH -a 1,
srun ./program
