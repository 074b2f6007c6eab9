#!/bin/bash
#SBATCH -B 2::1
srun ./program
