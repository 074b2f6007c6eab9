#!/bin/bash
#SBATCH --signal=TSTP
srun ./program
