#!/bin/bash
#SBATCH -B *:*:*
srun ./program
