#!/bin/bash
#SBATCH -b 2027-01-02T
srun ./program
