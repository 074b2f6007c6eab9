#!/bin/bash
#SBATCH -J two" "words
srun ./program
