#!/bin/bash
#SBATCH -b 0102
srun ./program
