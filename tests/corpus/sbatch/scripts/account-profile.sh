#!/bin/bash
#SBATCH --profile=task
srun ./program
