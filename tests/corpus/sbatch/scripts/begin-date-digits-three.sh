#!/bin/bash
#SBATCH -b 122
srun ./program
