#!/bin/bash
#SBATCH -i in.txt
srun ./program
