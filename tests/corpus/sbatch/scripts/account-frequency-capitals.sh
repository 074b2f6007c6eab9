#!/bin/bash
#SBATCH --acctg-freq=TASK=30
srun ./program
