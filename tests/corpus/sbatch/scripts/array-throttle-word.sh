#!/bin/bash
#SBATCH -a 1-3%a
srun ./program
