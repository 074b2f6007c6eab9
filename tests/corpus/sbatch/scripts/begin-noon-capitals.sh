#!/bin/bash
#SBATCH -b Noon
srun ./program
