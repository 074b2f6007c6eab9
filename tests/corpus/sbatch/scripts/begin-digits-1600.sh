#!/bin/bash
#SBATCH -b 1600
srun ./program
