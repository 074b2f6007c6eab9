#!/bin/bash
#SBATCH -G 2
srun ./program
