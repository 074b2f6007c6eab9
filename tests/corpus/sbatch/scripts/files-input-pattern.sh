#!/bin/bash
#SBATCH -i in-%x -J data
srun ./program
