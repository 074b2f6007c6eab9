#!/bin/bash
#SBATCH -d 1,afterok:2
srun ./program
