#!/bin/bash
#SBATCH --acctg-freq=30
srun ./program
