#!/bin/bash
#SBATCH --export=
srun ./program
