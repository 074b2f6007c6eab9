#!/bin/bash
#SBATCH --nodes=
srun ./program
