#!/bin/bash
#SBATCH -s
srun ./program
