#!/bin/bash
#SBATCH --mail-type=FAIL,BEGIN,END
srun ./program
