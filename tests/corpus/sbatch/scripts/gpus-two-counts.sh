#!/bin/bash
#SBATCH -G 2,3
srun ./program
