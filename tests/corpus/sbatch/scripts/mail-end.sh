#!/bin/bash
#SBATCH --mail-type=END
srun ./program
