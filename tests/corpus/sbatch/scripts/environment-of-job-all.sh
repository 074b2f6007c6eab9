#!/bin/bash
#SBATCH --export=ALL
srun ./program
