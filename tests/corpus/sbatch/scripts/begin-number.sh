#!/bin/bash
#SBATCH -b 1893456000
srun ./program
