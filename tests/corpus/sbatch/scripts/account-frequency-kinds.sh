#!/bin/bash
#SBATCH --acctg-freq=task=30,energy=10,network=5,filesystem=5
srun ./program
