#!/bin/bash
#SBATCH -b now+1month
srun ./program
