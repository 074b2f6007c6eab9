#!/bin/bash
#SBATCH -t 4294967295
srun ./program
