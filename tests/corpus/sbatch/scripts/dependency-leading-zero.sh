#!/bin/bash
#SBATCH -d afterok:01
srun ./program
