#!/bin/bash
#SBATCH -G 0
srun ./program
