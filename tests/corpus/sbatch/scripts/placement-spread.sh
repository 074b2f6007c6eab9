#!/bin/bash
#SBATCH --spread-job
srun ./program
