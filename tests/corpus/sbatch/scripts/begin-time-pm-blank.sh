#!/bin/bash
#SBATCH -b "4:00 PM"
srun ./program
