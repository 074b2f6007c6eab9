#!/bin/bash
#SBATCH --thread-spec=2 -S 2
srun ./program
