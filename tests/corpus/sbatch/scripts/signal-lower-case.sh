#!/bin/bash
#SBATCH --signal=sigterm
srun ./program
