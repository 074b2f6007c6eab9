#!/bin/bash
#SBATCH -b 1/2
srun ./program
