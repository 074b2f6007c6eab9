#!/bin/bash
#SBATCH -c 4
srun ./program
