#!/bin/bash
#SBATCH -B *:4
srun ./program
