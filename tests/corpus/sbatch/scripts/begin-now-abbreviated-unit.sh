#!/bin/bash
#SBATCH -b now+5min
srun ./program
