#!/bin/bash
#SBATCH -t 2.5
srun ./program
