#!/bin/bash
#SBATCH --acctg-freq=task=x
srun ./program
