#!/bin/bash
#SBATCH -J größe
srun ./program
