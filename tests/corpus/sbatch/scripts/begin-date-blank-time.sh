#!/bin/bash
#SBATCH -b "2027-01-02 03:04"
srun ./program
