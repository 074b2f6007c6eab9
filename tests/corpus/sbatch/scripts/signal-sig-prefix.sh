#!/bin/bash
#SBATCH --signal=SIGTERM@300
srun ./program
