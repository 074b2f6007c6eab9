#!/bin/bash
#SBATCH -q normal
srun ./program
