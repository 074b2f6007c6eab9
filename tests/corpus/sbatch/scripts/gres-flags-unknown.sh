#!/bin/bash
#SBATCH --gres-flags=bogus
srun ./program
