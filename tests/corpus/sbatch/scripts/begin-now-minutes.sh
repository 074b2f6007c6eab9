#!/bin/bash
#SBATCH -b now+2minutes
srun ./program
