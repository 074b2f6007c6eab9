#!/bin/bash
#SBATCH --signal=NOPE
srun ./program
