#!/bin/bash
#SBATCH -b now+1hour --deadline=now+3hours -t 30
srun ./program
