#!/bin/bash
#SBATCH -n 4.5
srun ./program
