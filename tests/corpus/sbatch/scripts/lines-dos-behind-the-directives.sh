#!/bin/bash
#SBATCH -n 4
srun ./program
