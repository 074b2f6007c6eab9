#!/bin/bash
#SBATCH -b "tomorrow noon"
srun ./program
