#!/bin/bash
#SBATCH -b 2027-01-02T03:04:05
srun ./program
