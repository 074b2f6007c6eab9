#!/bin/bash
#SBATCH -J a # comment -n 4
srun ./program
