#!/bin/bash
#SBATCH --gid=nosuchgroup
srun ./program
