#!/bin/bash
#SBATCH -t 1:00:01
srun ./program
