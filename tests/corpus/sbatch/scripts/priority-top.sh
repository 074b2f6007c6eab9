#!/bin/bash
#SBATCH --priority=TOP
srun ./program
