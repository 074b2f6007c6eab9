#!/bin/bash
#SBATCH -b 1969-01-01
srun ./program
