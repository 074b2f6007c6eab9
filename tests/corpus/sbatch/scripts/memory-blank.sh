#!/bin/bash
#SBATCH --mem=" 5G"
srun ./program
