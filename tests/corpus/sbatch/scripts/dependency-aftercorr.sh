#!/bin/bash
#SBATCH -d aftercorr:3 -a 1-5
srun ./program
