#!/bin/bash
#SBATCH --reservation=
srun ./program
