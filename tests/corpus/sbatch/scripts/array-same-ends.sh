#!/bin/bash
#SBATCH -a 5-5
srun ./program
