#!/bin/bash
#SBATCH -b "now + 1 hour"
srun ./program
