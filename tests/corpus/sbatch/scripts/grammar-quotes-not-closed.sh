#!/bin/bash
#SBATCH -J "open
srun ./program
