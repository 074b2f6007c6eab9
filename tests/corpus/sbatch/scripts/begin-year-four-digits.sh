#!/bin/bash
#SBATCH -b 01/02/2027
srun ./program
