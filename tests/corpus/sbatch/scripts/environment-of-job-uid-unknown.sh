#!/bin/bash
#SBATCH --uid=nosuchuser
srun ./program
