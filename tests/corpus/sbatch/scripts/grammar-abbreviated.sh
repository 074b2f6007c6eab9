#!/bin/bash
#SBATCH --job=name
srun ./program
