#!/bin/bash
#SBATCH -J a
#SBATCHX -n 4
srun ./program
