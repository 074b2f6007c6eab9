#!/bin/bash
#SBATCH -b tomorrow
srun ./program
