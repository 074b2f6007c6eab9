#!/bin/bash
#SBATCH -b T
srun ./program
