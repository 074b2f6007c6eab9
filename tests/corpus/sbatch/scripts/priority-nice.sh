#!/bin/bash
#SBATCH --nice
srun ./program
