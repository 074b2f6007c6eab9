#!/bin/bash
#SBATCH --bogus=1
srun ./program
