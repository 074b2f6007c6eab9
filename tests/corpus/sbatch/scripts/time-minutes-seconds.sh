#!/bin/bash
#SBATCH -t 90:30
srun ./program
