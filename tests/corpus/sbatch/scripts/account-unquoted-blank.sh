#!/bin/bash
#SBATCH --account=two words
srun ./program
