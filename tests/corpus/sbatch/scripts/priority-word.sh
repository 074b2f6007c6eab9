#!/bin/bash
#SBATCH --priority=x
srun ./program
