#!/bin/bash
#SBATCH --distribution=
srun ./program
