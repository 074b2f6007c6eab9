#!/bin/bash
#SBATCH -b now+1.5hours
srun ./program
