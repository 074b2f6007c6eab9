#!/bin/bash
#SBATCH -I
srun ./program
