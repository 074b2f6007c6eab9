#!/bin/bash
#SBATCH -b 2027-13-01
srun ./program
