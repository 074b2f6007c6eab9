#!/bin/bash
#SBATCH -n 4
#SBATCH hetjob
srun ./program
