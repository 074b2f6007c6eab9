#!/bin/bash
#SBATCH -b 12:30PM
srun ./program
