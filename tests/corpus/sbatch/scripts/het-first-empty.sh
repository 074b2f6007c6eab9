#!/bin/bash
#SBATCH hetjob
#SBATCH -n 4
srun ./program
