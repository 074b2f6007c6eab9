#!/bin/bash
#SBATCH --mail-type=bogus,END
srun ./program
