#!/bin/bash
#SBATCH --profile=bogus
srun ./program
