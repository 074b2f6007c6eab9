#!/bin/bash
#SBATCH --use-min-nodes
srun ./program
