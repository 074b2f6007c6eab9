#!/bin/bash
#SBATCH --signal=
srun ./program
