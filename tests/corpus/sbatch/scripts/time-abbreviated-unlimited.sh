#!/bin/bash
#SBATCH -t unlim
srun ./program
