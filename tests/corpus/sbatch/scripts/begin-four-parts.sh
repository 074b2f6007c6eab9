#!/bin/bash
#SBATCH -b 16:00:00:00
srun ./program
