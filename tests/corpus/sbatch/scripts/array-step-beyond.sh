#!/bin/bash
#SBATCH -a 1-5:9
srun ./program
