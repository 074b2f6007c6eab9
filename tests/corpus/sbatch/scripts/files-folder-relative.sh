#!/bin/bash
#SBATCH -D sub/folder
srun ./program
