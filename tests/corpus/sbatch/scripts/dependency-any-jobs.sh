#!/bin/bash
#SBATCH -d afterok:1:2?afternotok:1
srun ./program
