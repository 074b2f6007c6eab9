#!/bin/bash
#SBATCH --acctg-freq=x=1
srun ./program
