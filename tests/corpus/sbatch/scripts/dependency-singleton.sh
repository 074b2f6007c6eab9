#!/bin/bash
#SBATCH -d singleton
srun ./program
