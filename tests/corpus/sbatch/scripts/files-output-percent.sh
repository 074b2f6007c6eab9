#!/bin/bash
#SBATCH -o 100%%-%j.out
srun ./program
