#!/bin/bash
#SBATCH -a 1-3%-1
srun ./program
