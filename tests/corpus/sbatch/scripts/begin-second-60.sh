#!/bin/bash
#SBATCH -b 12:00:60
srun ./program
