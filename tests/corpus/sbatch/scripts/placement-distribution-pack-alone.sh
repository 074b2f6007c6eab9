#!/bin/bash
#SBATCH -m NoPack
srun ./program
