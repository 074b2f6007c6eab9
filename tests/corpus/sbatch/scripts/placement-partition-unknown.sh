#!/bin/bash
#SBATCH -p nosuch
srun ./program
