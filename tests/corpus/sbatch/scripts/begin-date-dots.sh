#!/bin/bash
#SBATCH -b 01.02.27
srun ./program
