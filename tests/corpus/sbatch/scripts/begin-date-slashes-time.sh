#!/bin/bash
#SBATCH -b 12/25-10:30
srun ./program
