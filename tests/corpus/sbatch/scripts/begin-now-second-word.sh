#!/bin/bash
#SBATCH -b now+30seconds
srun ./program
