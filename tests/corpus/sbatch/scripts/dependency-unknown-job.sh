#!/bin/bash
#SBATCH -d afterok:999999
srun ./program
