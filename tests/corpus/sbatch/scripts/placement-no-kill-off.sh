#!/bin/bash
#SBATCH --no-kill=off
srun ./program
