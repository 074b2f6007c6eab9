#!/bin/bash
#SBATCH -J hetjobs
#SBATCH -n 2
srun ./program
