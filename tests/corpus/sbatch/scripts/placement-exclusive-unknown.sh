#!/bin/bash
#SBATCH --exclusive=bogus
srun ./program
