#!/bin/bash
#SBATCH -d bogus:1
srun ./program
