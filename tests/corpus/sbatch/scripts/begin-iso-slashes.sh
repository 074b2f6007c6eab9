#!/bin/bash
#SBATCH -b 2027/01/02
srun ./program
