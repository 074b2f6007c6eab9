#!/bin/bash
#SBATCH -d singleton,1
srun ./program
