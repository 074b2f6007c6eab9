#!/bin/bash
#SBATCH -b 2020-01-01
srun ./program
