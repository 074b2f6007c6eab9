#!/bin/bash
#SBATCH -b now+1minute
srun ./program
