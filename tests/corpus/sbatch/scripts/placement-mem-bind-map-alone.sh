#!/bin/bash
#SBATCH --mem-bind=map_mem
srun ./program
