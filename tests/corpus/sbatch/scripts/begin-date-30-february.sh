#!/bin/bash
#SBATCH -b 2027-02-30
srun ./program
