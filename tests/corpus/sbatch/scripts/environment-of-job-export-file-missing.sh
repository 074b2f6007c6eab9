#!/bin/bash
#SBATCH --export-file=nofile
srun ./program
