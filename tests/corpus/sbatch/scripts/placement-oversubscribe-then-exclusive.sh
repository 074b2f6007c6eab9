#!/bin/bash
#SBATCH -s --exclusive
srun ./program
