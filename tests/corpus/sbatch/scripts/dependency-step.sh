#!/bin/bash
#SBATCH -d afterok:1.0
srun ./program
