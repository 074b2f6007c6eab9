#!/bin/bash
#SBATCH -e err-%j.txt
srun ./program
