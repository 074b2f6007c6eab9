#!/bin/bash
#SBATCH --wckey=project
srun ./program
