#!/bin/bash
#SBATCH --priority=4294967294
srun ./program
