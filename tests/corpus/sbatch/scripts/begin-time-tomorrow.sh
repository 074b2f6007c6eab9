#!/bin/bash
#SBATCH -b "16:00 tomorrow"
srun ./program
