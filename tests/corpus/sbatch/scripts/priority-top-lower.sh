#!/bin/bash
#SBATCH --priority=top
srun ./program
