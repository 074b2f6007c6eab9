#!/bin/bash
#SBATCH -J "" -n 2
srun ./program
