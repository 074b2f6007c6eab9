#!/bin/bash
#SBATCH -b "today 23:59"
srun ./program
