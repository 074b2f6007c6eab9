#!/bin/bash
#SBATCH -a -5
srun ./program
