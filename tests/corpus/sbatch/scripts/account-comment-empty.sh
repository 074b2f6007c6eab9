#!/bin/bash
#SBATCH --comment=
srun ./program
