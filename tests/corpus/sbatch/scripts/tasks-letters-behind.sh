#!/bin/bash
#SBATCH -n 4x
srun ./program
