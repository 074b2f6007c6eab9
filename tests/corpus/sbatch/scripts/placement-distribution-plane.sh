#!/bin/bash
#SBATCH -m plane=4
srun ./program
