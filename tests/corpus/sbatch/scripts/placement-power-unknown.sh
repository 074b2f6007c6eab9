#!/bin/bash
#SBATCH --power=bogus
srun ./program
