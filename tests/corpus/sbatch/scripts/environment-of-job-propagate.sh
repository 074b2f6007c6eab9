#!/bin/bash
#SBATCH --propagate
srun ./program
