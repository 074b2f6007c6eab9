#!/bin/bash
#SBATCH -m plane
srun ./program
