#!/bin/bash
#SBATCH -a 0x3
srun ./program
