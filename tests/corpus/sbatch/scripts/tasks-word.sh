#!/bin/bash
#SBATCH -n x
srun ./program
