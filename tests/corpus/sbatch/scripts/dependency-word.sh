#!/bin/bash
#SBATCH -d afterok:x
srun ./program
