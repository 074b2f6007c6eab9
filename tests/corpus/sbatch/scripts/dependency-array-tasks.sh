#!/bin/bash
#SBATCH -d afterok:3_[1-2]
srun ./program
