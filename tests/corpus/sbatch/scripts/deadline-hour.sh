#!/bin/bash
#SBATCH --deadline=now+1hour
srun ./program
