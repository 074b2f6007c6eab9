#!/bin/bash
#SBATCH --power=level
srun ./program
