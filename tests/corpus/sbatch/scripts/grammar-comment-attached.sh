#!/bin/bash
#SBATCH -J a#b -n 4
srun ./program
