#!/bin/bash
#SBATCH --contiguous
srun ./program
