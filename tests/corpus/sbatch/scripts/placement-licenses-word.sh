#!/bin/bash
#SBATCH -L matlab:x
srun ./program
