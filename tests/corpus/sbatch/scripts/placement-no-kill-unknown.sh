#!/bin/bash
#SBATCH --no-kill=bogus
srun ./program
