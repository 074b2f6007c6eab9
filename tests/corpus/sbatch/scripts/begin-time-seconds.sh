#!/bin/bash
#SBATCH -b 16:00:30
srun ./program
