#!/bin/bash
#SBATCH --mem=2GiB
srun ./program
