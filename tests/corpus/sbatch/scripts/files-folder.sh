#!/bin/bash
#SBATCH -D /tmp
srun ./program
