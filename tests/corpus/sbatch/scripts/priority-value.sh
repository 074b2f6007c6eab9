#!/bin/bash
#SBATCH --priority=100
srun ./program
