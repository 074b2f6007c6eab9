#!/bin/bash
#SBATCH -C intel&ib
srun ./program
