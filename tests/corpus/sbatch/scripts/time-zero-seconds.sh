#!/bin/bash
#SBATCH -t 0:00
srun ./program
