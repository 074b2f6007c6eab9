#!/bin/bash
#SBATCH --exclusive=user -s
srun ./program
