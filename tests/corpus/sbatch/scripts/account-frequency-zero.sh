#!/bin/bash
#SBATCH --acctg-freq=0
srun ./program
