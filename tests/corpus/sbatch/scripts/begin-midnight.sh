#!/bin/bash
#SBATCH -b midnight
srun ./program
