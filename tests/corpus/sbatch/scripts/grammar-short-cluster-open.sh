#!/bin/bash
#SBATCH -Hn
srun ./program
