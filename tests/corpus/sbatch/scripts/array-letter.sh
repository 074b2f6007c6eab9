#!/bin/bash
#SBATCH -a a
srun ./program
