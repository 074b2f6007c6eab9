#!/bin/bash
#SBATCH -d afternotok:1
srun ./program
