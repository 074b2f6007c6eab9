#!/bin/bash
#SBATCH -S 2
srun ./program
