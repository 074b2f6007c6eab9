#!/bin/bash
#SBATCH --deadline=2020-01-01
srun ./program
