#!/bin/bash
#SBATCH -N x
srun ./program
