#!/bin/bash
#SBATCH -t 999999999
srun ./program
