#!/bin/bash
#SBATCH -m plane=0
srun ./program
