#!/bin/bash
#SBATCH --hint=bogus
srun ./program
