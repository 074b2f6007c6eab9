#!/bin/bash
#SBATCH -b uts1893456000
srun ./program
