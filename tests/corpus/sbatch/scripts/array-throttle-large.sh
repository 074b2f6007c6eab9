#!/bin/bash
#SBATCH -a 1-3%999
srun ./program
