#!/bin/bash
#SBATCH --exclusive
srun ./program
