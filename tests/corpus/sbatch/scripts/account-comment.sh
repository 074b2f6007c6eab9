#!/bin/bash
#SBATCH --comment="two words"
srun ./program
