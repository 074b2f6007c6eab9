#!/bin/bash
#SBATCH --mail-user=ada@example.org --mail-type=END
srun ./program
