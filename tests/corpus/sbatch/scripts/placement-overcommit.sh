#!/bin/bash
#SBATCH -O
srun ./program
