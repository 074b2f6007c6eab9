#!/bin/bash
#SBATCH --signal=-5
srun ./program
