#!/bin/bash
#SBATCH --gid=root
srun ./program
