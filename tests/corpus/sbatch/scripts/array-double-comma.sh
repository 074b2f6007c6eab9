#!/bin/bash
#SBATCH -a 1,,2
srun ./program
