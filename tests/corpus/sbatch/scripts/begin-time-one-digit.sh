#!/bin/bash
#SBATCH -b 4:05
srun ./program
