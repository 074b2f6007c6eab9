#!/bin/bash
#SBATCH --mem-bind=map_mem:0,1
srun ./program
