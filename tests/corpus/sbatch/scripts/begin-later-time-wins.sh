#!/bin/bash
#SBATCH -b "16:00 16:30"
srun ./program
