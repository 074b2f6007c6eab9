#!/bin/bash
#SBATCH -o %u.out
srun ./program
