#!/bin/bash
#SBATCH --nice=x
srun ./program
