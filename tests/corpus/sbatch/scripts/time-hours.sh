#!/bin/bash
#SBATCH -t 1:00:00
srun ./program
