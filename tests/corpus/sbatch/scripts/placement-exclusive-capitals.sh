#!/bin/bash
#SBATCH --exclusive=USER
srun ./program
