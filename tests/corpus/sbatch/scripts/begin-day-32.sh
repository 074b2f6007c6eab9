#!/bin/bash
#SBATCH -b 1/32
srun ./program
