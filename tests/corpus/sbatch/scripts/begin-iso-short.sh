#!/bin/bash
#SBATCH -b 2027-1-2
srun ./program
