#!/bin/bash
#SBATCH --ex
srun ./program
