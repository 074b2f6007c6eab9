#!/bin/bash
#SBATCH -b now+1day
srun ./program
