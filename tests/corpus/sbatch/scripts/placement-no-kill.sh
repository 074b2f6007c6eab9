#!/bin/bash
#SBATCH -k
srun ./program
