#!/bin/bash
#SBATCH --constraint=
srun ./program
