#!/bin/bash
#SBATCH --priority=0
srun ./program
