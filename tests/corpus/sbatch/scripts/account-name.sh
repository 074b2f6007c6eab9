#!/bin/bash
#SBATCH -A physics
srun ./program
